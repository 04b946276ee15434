"""Tables as lazy Polars frames, from wherever they lie: what contracts, drift and screens read."""
