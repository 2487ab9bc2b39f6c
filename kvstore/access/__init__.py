"""Access: tokens, and what each of them allows. Knows nothing of HTTP."""
