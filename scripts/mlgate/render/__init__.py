"""Views of evidence: Markdown, HTML and terminal text. Pure: evidence in, text out; no number is computed a second time here."""
