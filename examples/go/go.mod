module jobqueue

go 1.19

require filedb v0.0.0

replace filedb => ../../bindings/go
