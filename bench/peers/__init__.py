"""Each peer is a program of its own: an instance on standard input, its routes on standard output."""
