subroutine print_line(number) bind(c)
    use iso_c_binding
    integer(c_int), intent(in) :: number
    print '(a, i0)', 'line ', number
end subroutine
