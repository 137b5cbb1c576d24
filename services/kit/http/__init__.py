"""The HTTP edge: what an endpoint may ask for, and how answers and refusals look."""
