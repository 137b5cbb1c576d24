"""The law of dispatch: what may be planned, ridden, reported and taken back."""
