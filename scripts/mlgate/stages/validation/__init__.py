"""Parts of validate-data: contracts, screens, drift."""
