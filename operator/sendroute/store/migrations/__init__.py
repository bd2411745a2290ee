"""The schema's steps, one file each, in order; never edited once released."""
