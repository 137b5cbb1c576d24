"""What departments may ask, when it falls due, and what becomes of it: plain values, no clock, no storage."""
