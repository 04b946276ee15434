"""Drift: how far one table's distributions lie from another's, and whether that is more than chance gives."""
