module filedb

go 1.19
