"""The lane between services: outbox, relay, bus, consumer, inbox."""
