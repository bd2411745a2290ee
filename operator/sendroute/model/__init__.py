"""The nouns: frozen values, no input or output, nothing of the other packages."""
