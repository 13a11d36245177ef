"""What scripts/package is made of: one module a kind of package, and what they have in common."""
