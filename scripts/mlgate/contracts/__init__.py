"""Contracts: pandera schemas that data must satisfy before anything is trained."""
