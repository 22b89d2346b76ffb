"""Adding and managing people. Shares the networks and the store; never touches the strike."""
