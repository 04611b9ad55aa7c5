# Stands in for rclcpp where it is not available. It has the few calls that the example makes, on the real rcl. The CMake
# files of rcl in the wheels name libraries of the machine that built them. So the library is linked by its path.
find_library(rcl_library rcl REQUIRED)
find_library(rcutils_library rcutils REQUIRED)
get_filename_component(prefix ${rcl_library} DIRECTORY)
file(GLOB folders ${prefix}/../include/*)
add_library(rclcpp::rclcpp INTERFACE IMPORTED)
target_include_directories(rclcpp::rclcpp INTERFACE ${CMAKE_CURRENT_LIST_DIR} ${folders})
target_link_libraries(rclcpp::rclcpp INTERFACE ${rcl_library} ${rcutils_library} -Wl,--allow-shlib-undefined)
