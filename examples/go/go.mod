module jobqueue

go 1.19

require example.com/filedb/bindings/go v0.2.0

replace example.com/filedb/bindings/go => ../../bindings/go
