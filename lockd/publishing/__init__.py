"""What is published: events, alerts, state and pictures, to the broker and Home Assistant."""
