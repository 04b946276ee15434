"""Telling a team over the web that a gate closed: what is said, and how it is sent. Knows neither GitHub nor the evidence."""
