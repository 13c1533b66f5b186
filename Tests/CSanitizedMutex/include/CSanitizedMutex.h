/* Nothing to call: linking is enough. See CSanitizedMutex.c. */
