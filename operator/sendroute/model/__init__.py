"""The nouns: frozen values without input or output. It imports no other package of Sendroute."""
