"""GitHub, as far as mlgate speaks with it: one comment a model, a status, artifacts of earlier runs. `client.Forge` is the way in."""
