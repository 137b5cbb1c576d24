"""The events: examples, their readers and writers, and the documents made from the same source."""
