"""The benchmark: what the provider costs, as ratios to programs that do less, in one run."""
