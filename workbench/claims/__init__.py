"""The papers' results as claims: declared in files, measured in runs, decided with their uncertainty."""
