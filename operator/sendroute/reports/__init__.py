"""Plans, results and findings as text: pure functions of model values, and one writer of files."""
