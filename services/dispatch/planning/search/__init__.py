"""The compiled search: ruin and recreate over flat arrays; known to nobody but the door and the big days."""
