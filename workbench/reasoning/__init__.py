"""Parts 2.1 and 2.2: what a model makes of arithmetic problems, what it knows, whether it knows that it erred."""
