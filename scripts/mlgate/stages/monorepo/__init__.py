"""Many models in one repository: which ones a change reaches, and one answer for all."""
