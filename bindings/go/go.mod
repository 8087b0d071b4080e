module example.com/filedb/bindings/go

go 1.19
