# Turns web/dist into assets compiled into the binary.
