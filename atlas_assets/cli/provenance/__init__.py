"""Commands that explain: where a result comes from, and what depends on something."""
