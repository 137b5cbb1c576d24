"""What we measured, beside a peer or a limit in the same run; README.md holds the figures."""
