"""The model a candidate is compared with: found, fetched, trained again, scored again."""
