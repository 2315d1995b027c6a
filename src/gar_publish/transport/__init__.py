"""HTTP: sessions, connections and retries."""
