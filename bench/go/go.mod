module rendez.bench

go 1.24
