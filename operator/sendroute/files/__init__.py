"""Files of users: what may be opened, where links may lead, locks, and replacing a file."""
