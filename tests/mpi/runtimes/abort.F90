! Tasks in Fortran that end MPI, by the old interface or the new one.
subroutine abort_mpi() bind(c)
#ifdef F08
    use mpi_f08
    call MPI_Abort(MPI_COMM_SELF, 7)
#else
    use mpi
    integer :: error
    call MPI_Abort(MPI_COMM_SELF, 7, error)
#endif
end subroutine

subroutine finalize_mpi() bind(c)
#ifdef F08
    use mpi_f08
    call MPI_Finalize()
#else
    use mpi
    integer :: error
    call MPI_Finalize(error)
#endif
end subroutine
