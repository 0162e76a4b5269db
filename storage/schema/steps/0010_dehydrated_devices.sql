-- Devices that are kept here until their user wakes them (MSC3814).

-- A dehydrated device stands among the user's devices, with keys and messages, and has no token.
CREATE TABLE dehydrated_devices (
    user_id     text  PRIMARY KEY,
    device_id   text  NOT NULL,
    device_data bytea NOT NULL                             -- JSON: the device's private part, encrypted by the client
);
