"""What happens, in the order it happens; the transaction is given, never opened or committed here."""
