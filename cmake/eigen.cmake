# Only the Eigen maps over messages (motion_predictor/eigen.hpp) need Eigen. These maps are available if Eigen is
# installed.
find_package(Eigen3 QUIET NO_MODULE)
if(TARGET Eigen3::Eigen AND TARGET motion_predictor::planning)
  set_property(TARGET motion_predictor::planning APPEND PROPERTY INTERFACE_LINK_LIBRARIES Eigen3::Eigen)
endif()
