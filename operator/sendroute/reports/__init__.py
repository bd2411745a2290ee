"""Plans, results and findings as text: pure functions from model values, but for one writer."""
