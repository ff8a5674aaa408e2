"""One network is made at a time in a process."""

import threading

# While it makes a network, transformers swaps functions and defaults of the whole process: what ties embeddings
# (transformers.initialization.no_tie_weights), torch's initialisers, its default type. Two threads that make one at
# once put back each other's swaps, and from then on every network of the process is made with untied embeddings,
# without a word. So whoever makes or loads a network holds this lock meanwhile; its holder may take it again.
ONE_NETWORK_AT_A_TIME = threading.RLock()
