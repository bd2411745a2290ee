"""The routes of mail, decided from the store alone."""
