"""A hardware limit for the strike: a Raspberry Pi Pico between lockd's pin and the relay.

MicroPython runs this at power-up. What is to be set is at the top; `limit.py` decides. Wiring and
how to put it on: README.md.
"""

import time

from limit import Limit
from machine import WDT, Pin

ASKED_PIN, BEAT_PIN, RELAY_PIN, LED_PIN = 2, 3, 15, "LED"
"""From relay.pin, from relay.heartbeat.pin, to the relay, and the Pico's own LED."""
ASKED_HIGH = True
"""Whether a high level of relay.pin unlocks: relay.active_high, or its opposite with fail_safe."""
UNLOCKED_HIGH = True
"""Whether a high level at the relay's input unlocks the door."""
DOG_MS = 1000
"""After a program that hangs for so long the chip resets itself, which locks."""


def main():
    """Look at the lines a thousand times a second, for ever."""
    relay = Pin(RELAY_PIN, Pin.OUT, value=int(not UNLOCKED_HIGH))
    led = Pin(LED_PIN, Pin.OUT, value=0)
    # A line that is cut, or that nobody drives yet, does not ask.
    asked = Pin(ASKED_PIN, Pin.IN, Pin.PULL_DOWN if ASKED_HIGH else Pin.PULL_UP)
    beat = Pin(BEAT_PIN, Pin.IN, Pin.PULL_DOWN)
    dog = WDT(timeout=DOG_MS)
    limit = Limit(time.ticks_diff)
    try:
        while True:
            release = limit.look(asked.value() == ASKED_HIGH, beat.value(), time.ticks_ms())
            relay.value(int(release == UNLOCKED_HIGH))
            led.value(int(release))
            dog.feed()
            time.sleep_ms(1)
    finally:
        relay.value(int(not UNLOCKED_HIGH))  # and the dog, which cannot be stopped, starts anew


if __name__ == "__main__":
    main()
