# Maps over messages (motion_predictor/eigen.hpp) are for whoever has Eigen; nothing else here needs it.
find_package(Eigen3 QUIET NO_MODULE)
if(TARGET Eigen3::Eigen AND TARGET motion_predictor::planning)
  set_property(TARGET motion_predictor::planning APPEND PROPERTY INTERFACE_LINK_LIBRARIES Eigen3::Eigen)
endif()
