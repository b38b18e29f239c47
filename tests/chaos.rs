//! Nothing acknowledged is lost and nothing is applied twice while servers are killed, frozen and restarted.
