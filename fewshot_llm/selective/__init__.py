"""Which answers are kept back: error contract, costs, texts out of scope."""
