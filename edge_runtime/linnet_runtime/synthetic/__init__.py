"""The renderer: photos and a conveyor belt of small parts, for the demo and the tests."""
