import os
import threading
import time

import pytest

from fastpose_mtn.video.background import Consumer, Producer


def test_a_producer_keeps_order_and_runs_ahead_no_further_than_its_capacity():
    made = []

    def count():
        for i in range(100):
            made.append(i)
            yield i

    with Producer(count(), capacity=3, name="count") as numbers:
        iterator = iter(numbers)
        assert next(iterator) == 0
        time.sleep(0.05)
        assert len(made) <= 5  # one taken, three waiting, one in the producer's hand
        assert list(iterator) == list(range(1, 100))


def test_a_producers_exception_comes_in_its_place():
    def fail():
        yield 1
        raise RuntimeError("decoder broke")

    got = []
    with (
        Producer(fail(), capacity=3, name="fail") as numbers,
        pytest.raises(RuntimeError, match="decoder broke"),
    ):
        got.extend(numbers)
    # list.extend keeps what came before the exception
    assert got == [1]


def test_leaving_a_producer_early_ends_its_thread():
    before = set(threading.enumerate())
    with Producer(iter(int, 1), capacity=2, name="endless") as zeros:
        assert next(iter(zeros)) == 0
    assert set(threading.enumerate()) <= before


def test_a_consumer_does_every_item_in_order_before_it_closes():
    done = []
    consumer = Consumer(lambda item: (time.sleep(0.001), done.append(item)), capacity=2, name="work")
    for i in range(30):
        consumer.put(i)
    consumer.close()
    assert done == list(range(30))


def test_a_consumers_exception_reaches_whoever_hands_over_and_blocks_nobody():
    def fail(item):
        raise OSError(28, "No space left on device")

    consumer = Consumer(fail, capacity=1, name="fail")
    with pytest.raises(OSError, match="No space left"):
        any(consumer.put(i) for i in range(10))  # put returns None: goes on until it raises
    with pytest.raises(OSError, match="No space left"):
        consumer.close()


def test_dropping_ends_a_consumer_without_doing_what_waits():
    gate, done = threading.Event(), []
    consumer = Consumer(lambda item: (gate.wait(), done.append(item)), capacity=5, name="slow")
    for i in range(5):
        consumer.put(i)
    threading.Timer(0.05, gate.set).start()
    consumer.close(drop=True)
    assert len(done) <= 1


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux's scheduler")
def test_threads_give_way_to_those_that_compute():
    def policy():
        return os.sched_getscheduler(0)

    seen = []
    for gives_way in (True, False):
        with Producer((policy() for _ in range(1)), capacity=1, name="test", gives_way=gives_way) as produced:
            seen += list(produced)
    consumer = Consumer(lambda _: seen.append(policy()), capacity=1, name="test")
    consumer.put(None)
    consumer.close()
    assert seen == [os.SCHED_BATCH, policy(), os.SCHED_BATCH]
