"""What is loaded is not looked through for garbage while files are sent; what comes after that is."""

import gc
import weakref

from client_delivery.runtime.heap import heap_at_rest


class Node:
    """Points at itself, so that only the collector can remove it."""

    def __init__(self):
        self.own = self


def test_garbage_that_comes_within_is_collected_and_what_was_there_is_left_until_the_end():
    node = Node()
    before, was_enabled = weakref.ref(node), gc.isenabled()
    gc.disable()  # only the collections that are asked for here
    try:
        del node
        with heap_at_rest():
            within = weakref.ref(Node())
            gc.collect()
            assert within() is None
            assert before() is not None
        gc.collect()
        assert before() is None
    finally:
        if was_enabled:
            gc.enable()
